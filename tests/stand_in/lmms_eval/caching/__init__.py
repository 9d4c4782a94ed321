"""The code of lmms-eval that evalserver's launcher patches; nothing here uses it."""
