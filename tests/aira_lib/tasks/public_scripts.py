"""The scripts of made-up task folders, with words in capitals to be filled in by `public_folders`."""

TABLES = '''
"""As Hugging Face's `datasets` does: tables in Arrow streams, and a cache beside the file that `mapped` reads."""
import argparse, csv, json, os, sys
sys.modules["numpy"] = None  # of no use here, and importing it is half of what these many scripts cost
import pyarrow as pa

def load(folder):
    with pa.OSFile(os.path.join(folder, "data-00000-of-00001.arrow")) as source:
        return pa.ipc.open_stream(source).read_all().to_pylist()

def save(rows, folder, columns=None):
    os.makedirs(folder)
    table = pa.Table.from_pylist([{n: r[n] for n in columns or rows[0]} for r in rows])
    with pa.OSFile(os.path.join(folder, "data-00000-of-00001.arrow"), "wb") as sink:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    with open(os.path.join(folder, "state.json"), "w") as file:
        json.dump({"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": "raw"}, file)
    with open(os.path.join(folder, "dataset_info.json"), "w") as file:
        json.dump({"features": {n: {"dtype": str(table.schema.field(n).type)} for n in table.column_names}}, file)

def mapped(folder, change):
    with open(os.path.join(folder, "cache-0123456789abcdef.arrow"), "w") as cache:
        cache.write("what map made")
    return [{**row, **change(row)} for row in load(folder)]

def arguments():
    parser = argparse.ArgumentParser()
    for flag in ("--global-shared-data-dir", "--agent-data-mount-dir", "--agent-log-dir"):
        parser.add_argument(flag)
    given = parser.parse_args()
    return given.global_shared_data_dir + "/RAW", given.agent_data_mount_dir, given.agent_log_dir
'''

PREPARE = """
from tables import arguments, load, mapped, save
raw, mount, log = arguments()
train, test = READ
save(train, mount + "/train", TRAIN_COLUMNS)
save(test, mount + "/test", TEST_COLUMNS)
"""

EVALUATE_PREPARE = """
import shutil
from tables import arguments, load, mapped, save
raw, mount, log = arguments()
train, test = READ
save(test, mount + "/test_with_labels")
shutil.copy2(log + "/submission.csv", mount + "/submission.csv")
"""

EVALUATE = """
import argparse, csv, json, math
from tables import load
parser = argparse.ArgumentParser()
parser.add_argument("--submission-file", default="submission.csv")
given = parser.parse_args()
labels = load("./data/test_with_labels")
with open(given.submission_file, newline="") as file:
    header, *table = csv.reader(file)
if len(table) != len(labels):
    parser.error(f"Error loading submission_file: row count ({len(table)}) is not {len(labels)}")
first = [row[0] for row in table]
SCORE
print("\\n--- EVALUATION RESULT ---")
print(json.dumps({METRIC: value}, indent=2))
"""

CUSTOM_LABELS = """
import argparse, csv, json
from tables import load, mapped
parser = argparse.ArgumentParser()
parser.add_argument("--global-shared-data-dir")
parser.add_argument("--output-directory")
given = parser.parse_args()
raw = given.global_shared_data_dir + "/RAW"
train, test = READ
with open(given.output_directory + "/gold_submission.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(HEADER)
    writer.writerows(GOLD for r in test)
"""

RETRIEVAL = """
from tables import arguments, mapped, save
raw, mount, log = arguments()
for split in ("train", "test"):
    rows = mapped(raw + "/" + split, lambda r: {"query": " ".join(r["docstring_tokens"]), "code": r["code_tokens"][0]})
    save(rows, mount + f"/{split}/search_corpus", ["id", "code"])
    if split == "test":
        save(rows, mount + "/test/queries", ["query"])
    else:
        save(rows, mount + "/train/queries_with_labels", ["id", "query"])
"""
