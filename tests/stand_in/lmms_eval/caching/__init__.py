"""What evalserver's launcher repairs in lmms-eval; nothing here uses it."""
