"""Files of a list, as OFAC publishes them."""

import gzip
import hashlib
import json


def entries(text):
    rest = ",-0- " * 6
    remarks = (
        "DOB 14 Mar 1965; alt. DOB Mar 1966; DOB circa 1967; nationality Cuba; a.k.a. 'COUNT'."
    )
    return text or f'36,"LOVELACE, Ada","individual","SDGT] [CUBA",-0- {rest},"{remarks}"\n\x1a'


def write(folder, name="ADA LOVELACE", version="1", packed=False, **fields):
    content = entries("").replace("LOVELACE, Ada", name).encode()
    files = {"sdn.csv": content, "alt.csv": b""}
    named = {}
    for (file, raw), role in zip(files.items(), ("entries", "aliases"), strict=True):
        stored = f"{file}.gz" if packed else file
        kept = gzip.compress(raw) if packed else raw
        (folder / stored).write_bytes(kept)
        named[role] = {"file": stored, "sha256": hashlib.sha256(kept).hexdigest()}
    manifest = {"list": "OFAC", "version": version, "format": "ofac", "files": named} | fields
    (folder / "ofac.json").write_text(json.dumps(manifest))
