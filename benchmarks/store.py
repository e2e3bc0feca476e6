"""What has been measured so far, on disk: one line for each part, so that a stopped run goes on."""

import hashlib
import json


class Store:
    """The measured parts of a run with these options at this commit.

    Args:
        folder: where the file lies, outside the checkout.
        session: command, commit and date of this start.
        options: what the run measures; another choice is another file.
        fresh: begin anew.
    """

    def __init__(self, folder, session, options, *, fresh=False):
        chosen = {k: str(v) for k, v in sorted(options.items()) if k not in ("fresh", "list")}
        key = hashlib.sha256(json.dumps([session["commit"], chosen]).encode()).hexdigest()[:12]
        self.path = folder / f"{key}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            self.path.unlink(missing_ok=True)
        self.units, self._rows, self.sessions = set(), {}, []
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                self._take(line)
        self.sessions.append(session)
        self._write({"session": session})

    def _take(self, line):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            return  # the line that an interruption cut off
        if "session" in entry:
            self.sessions.append(entry["session"])
        else:
            self.units.add(entry["unit"])
            self._rows.setdefault(entry["part"], []).extend(entry["rows"])

    def _write(self, entry):
        with self.path.open("a") as file:
            file.write("\n" + json.dumps(entry, allow_nan=False))

    def add(self, unit, part, rows):
        """Keep a finished part."""
        self._write({"unit": unit, "part": part, "rows": rows})
        self.units.add(unit)
        self._rows.setdefault(part, []).extend(rows)

    def rows(self, part):
        return self._rows.get(part, [])

    def close(self):
        """The results file is written: the next run begins anew."""
        self.path.unlink(missing_ok=True)
