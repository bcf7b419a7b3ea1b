"""YAML files of settings: in UTF-8, a mapping whose keys are words, without repeated keys."""

from typing import Any

import yaml

from seqrec.command.environment import VARIABLE
from seqrec.command.installation import where_templates_lie
from seqrec.errors import UserError
from seqrec.storage import files


def read_yaml(path: str) -> dict[str, Any]:
    """The content of a file; UserError, which names the file, if it isn't such a mapping, can't be read, or doesn't exist."""
    try:
        content = yaml.load(files.read_text(path), _OnceKeys)
        _refuse_recursion(content)
    except FileNotFoundError:
        raise UserError(f"{path}: no such configuration file; {where_templates_lie()}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error}): a configuration is a readable YAML file") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected `key: value` lines")
    return content


def refuse_emptied(content: dict[str, Any], template: dict[str, Any], *, path: str, above: dict[str, Any]) -> None:
    """Raise UserError for a path that is what the template's becomes where its variables are empty, and that isn't there.

    envsubst turns a variable that is unset into nothing: `${SEQREC_ROOT}/dataset` into /dataset, which would be made at the root
    of the file system. `content` is that of the file at `path`; keys in `above` are set on the command line, and so meant.
    """
    for key, pattern in template.items():
        value, over = content.get(key), above.get(key)
        if isinstance(value, dict) and isinstance(pattern, dict):
            refuse_emptied(value, pattern, path=path, above=over if isinstance(over, dict) else {})
        elif key not in above and _is_emptied(value, pattern) and not files.exists(str(value)):
            names = " and ".join(VARIABLE.findall(pattern))
            raise UserError(
                f"{path}: {key}: {value} isn't there, and is what {pattern} becomes where {names} is unset or empty: export "
                f"{names}=… and render the file again; a folder that is to be made there is written file://{value}"
            )


def _is_emptied(value: Any, pattern: Any) -> bool:
    """Whether a path is what a template's, which begins with a variable, becomes without its variables."""
    return isinstance(pattern, str) and pattern.startswith("${") and bool(value == VARIABLE.sub("", pattern))


class _OnceKeys(yaml.SafeLoader):
    """YAML whose keys are strings, each once in its mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or not key.value:
                raise yaml.YAMLError(f"line {line} has a key that is empty or no word")
            if key.value in keys:
                raise yaml.YAMLError(f"the key {key.value} is there twice, the second time in line {line}: keep one of them")
            keys.add(key.value)
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep) for key, value in node.value}


def _refuse_recursion(value: Any, above: tuple[int, ...] = ()) -> None:
    """Raise a YAMLError for an anchor that contains itself."""
    if isinstance(value, dict | list):
        if id(value) in above:
            raise yaml.YAMLError("an anchor refers to itself")
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_recursion(inner, (*above, id(value)))
