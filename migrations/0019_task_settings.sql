-- What makes the numbers of a task comparable, as the harness reports it: the version of the task,
-- and how many examples its prompts had. Unknown of older numbers.

ALTER TABLE metrics ADD COLUMN task_version TEXT;
ALTER TABLE metrics ADD COLUMN num_fewshot INTEGER CHECK (num_fewshot >= 0);
