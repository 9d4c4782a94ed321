"""Write the data set and the lmms-eval task ``digits_vqa`` into a directory.

Use: ``python make_dataset.py DIR``. After that ``--include_path DIR --tasks digits_vqa`` works
without a network. The task file has an absolute path to the data, so do not move the directory.
"""

import argparse
import json
import shutil
from pathlib import Path

import digits_data
from datasets import Dataset, Features, Image, Value

TEMPLATES = Path(__file__).resolve().parent / "task"
PLACEHOLDER = "@DATA_FILE@"


def write_data(path: Path) -> None:
    """Write the held-out images as one Parquet file, with the PNG bytes inside it."""
    inks, labels = digits_data.held_out()
    rows = {
        "doc_id": list(range(len(labels))),
        "image": [digits_data.to_picture(ink) for ink in inks],
        "label": labels,
    }
    features = Features({"doc_id": Value("int64"), "image": Image(), "label": Value("int64")})
    Dataset.from_dict(rows, features=features).to_parquet(path)


def write_task(directory: Path, data: Path) -> None:
    """Write the task file, with the data's path filled in, and the module it refers to."""
    template = (TEMPLATES / "digits_vqa.yaml").read_text(encoding="utf-8")
    # A JSON string is a YAML string too, whatever characters the path has.
    text = template.replace(PLACEHOLDER, json.dumps(str(data), ensure_ascii=False))
    (directory / "digits_vqa.yaml").write_text(text, encoding="utf-8")
    shutil.copyfile(TEMPLATES / "digits_utils.py", directory / "digits_utils.py")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="created if missing")
    directory: Path = parser.parse_args().directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / "digits_test.parquet"
    write_data(data)
    write_task(directory, data)


if __name__ == "__main__":
    main()
