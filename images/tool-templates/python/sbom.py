"""Prints the tool's software bill of materials (CycloneDX 1.6).

    sbom.py NAME VERSION COMPONENT VENV

What is in the component: CPython with its standard library, wasi-libc and what componentize-py adds; and
componentize-py's licences say whose.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path


def cpython(component):
    """The version of the CPython inside: its libraries are named by it."""
    found = set(re.findall(rb"libpython(3\.\d+)\.so", component))
    if len(found) != 1:
        sys.exit(f"no CPython, or several, in the component: {found}")
    return found.pop().decode()


def main(name, version, component, venv):
    content = Path(component).read_bytes()
    builder = subprocess.run(
        [f"{venv}/bin/componentize-py", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": name,
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
            },
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": "componentize-py",
                        "version": builder,
                        "purl": f"pkg:pypi/componentize-py@{builder}",
                        "licenses": [{"expression": "Apache-2.0 WITH LLVM-exception"}],
                    }
                ]
            },
        },
        "components": [
            {
                "type": "platform",
                "name": "cpython",
                "version": cpython(content),
                "licenses": [{"license": {"id": "PSF-2.0"}}],
            },
            {
                "type": "framework",
                "name": "componentize-py-runtime",
                "version": builder,
                "licenses": [{"expression": "Apache-2.0 WITH LLVM-exception"}],
            },
            {"type": "library", "name": "kekkai", "version": "0.1.0", "licenses": [{"expression": "Apache-2.0"}]},
        ],
    }
    print(json.dumps(bill, indent=2))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(f"usage: {sys.argv[0]} NAME VERSION COMPONENT VENV")
    main(*sys.argv[1:])
