"""The configuration of every command: declared once, parsed once, then plain dataclasses.

    schema              typed dataclasses of every key of train.py; the section `trainer` is in schema_trainer.py
    commands            those of the other commands
    declare             `key(...)`: documentation, limits and properties of a key, and what each property means
    keys                all keys by name, and which of them have a property
    compose             from overrides and YAML files, by Hydra, to plain values
    parsing             from plain values to a typed and checked configuration
    tables              looks up a name in a table (networks, losses, ...), or says in which table it is missing
    overrides           `key=value`, as on the command line
    errors, messages, composition_errors    exceptions for the user, and their texts of one line
    help, json_schema   --help, and JSON Schema for editors
    optional            parts of `engine/` and `extras/`, if these folders are there
    job_compositions    the configurations of the jobs of a sweep

Nothing here imports torch, except for the parts that `optional` returns, and no check depends on the hardware.
"""
