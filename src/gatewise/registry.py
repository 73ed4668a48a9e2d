"""Classes that users name: one registry for each kind of object, from losses to constraints.

A registry finds a class by its name or alias, makes objects from names and saved configurations,
and describes an object as JSON values. User-defined classes are found by name among the objects of
:func:`gatewise.configuration.custom_object_scope`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from gatewise.configuration import argument_names, custom_objects
from gatewise.errors import ConfigError, DTypeError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gatewise._typing import Config

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """The classes of one kind, by name.

    Parameters
    ----------
    kind : str
        What messages call such an object, such as ``"loss"``.
    base : type
        Class that all of them derive from, user-defined ones too.
    classes : iterable of type
        The library's classes. Each is found by its ``__name__``, in files too.
    aliases : mapping of str to type, optional
        Other names that users may give. None: users give objects, not names or classes.
    namespace : str
        Where users find the classes, such as ``"gatewise.losses"``; for messages.
    guide : str
        Page that shows a user-defined one; for messages about functions. Empty: there is none.
    ignore_case : bool, default False
        Whether an alias is also found if its capitals differ.
    """

    kind: str
    namespace: str

    def __init__(
        self,
        kind: str,
        base: Any,  # type[T]: mypy refuses abstract classes there
        classes: Iterable[type[T]],
        aliases: Mapping[str, type[T]] | None = None,
        *,
        namespace: str,
        guide: str = "",
        ignore_case: bool = False,
    ) -> None:
        self.kind, self.namespace = kind, namespace
        self.base: type[T] = base
        self.aliases: dict[str, type[T]] = dict(aliases or {})
        self.classes: dict[str, type[T]] = {}
        self.names: dict[str, type[T]] = dict(self.aliases)
        self._guide, self._ignore_case = guide, ignore_case
        self.add(*classes)

    def add(self, *classes: type[T]) -> None:
        """Add classes of the library: for rooms whose modules use the registry that lists them."""
        self.classes.update({cls.__name__: cls for cls in classes})
        self.names.update(self.classes)

    def get(self, identifier: T | type[T] | str | Config, what: str | None = None) -> T:
        """An object from a name, a class, a saved configuration or an object, which is returned.

        Parameters
        ----------
        identifier : object, type, str or dict
        what : str, optional
            What messages call it, such as the name of an argument. Default: the kind.

        Raises
        ------
        ConfigError
            The name is not known, or the configuration does not fit the class.
        DTypeError
            It is none of these.
        """
        what = self.kind if what is None else what
        if isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, dict):
            return self.deserialize(identifier, what)
        if self.aliases and isinstance(identifier, str):
            return self.class_named(identifier, what)()
        if self.aliases and isinstance(identifier, type) and issubclass(identifier, self.base):
            return cast("type[T]", identifier)()
        guide = (
            f"; {self._guide} shows a user-defined {self.kind}"
            if self._guide and callable(identifier)
            else ""
        )
        a_name = "a name or " if self.aliases else ""
        raise DTypeError(
            f"{what} is {identifier!r}; expected {a_name}a {self.namespace} object{guide}"
        )

    def class_named(self, name: str, what: str | None = None) -> type[T]:
        """The library's class with this name or alias.

        Raises
        ------
        ConfigError
            There is none.
        """
        cls = self.names.get(name)
        if cls is None and self._ignore_case:
            cls = self.aliases.get(name.lower())
        if cls is None:
            choices = sorted(alias for alias in self.aliases if not alias.isupper())
            raise ConfigError(
                f"{self.kind if what is None else what} {name!r} is not known; choose one of"
                f" {', '.join(choices)}{did_you_mean(name, self.names)}"
            )
        return cls

    def find_class(self, name: object, what: str | None = None) -> type[T]:
        """The class that a file names: a user-defined one from the open scopes, or the library's.

        Raises
        ------
        ConfigError
            There is none with this name.
        DTypeError
            The name is no text, or the class does not derive from `base`.
        """
        what = self.kind if what is None else what
        if not isinstance(name, str):
            raise DTypeError(f"{what} class is {name!r:.200}; expected the name of one")
        cls = custom_objects().get(name, self.names.get(name))
        if cls is None:
            raise ConfigError(
                f"{what} class {name!r} is not known: give it, as load_model(path,"
                f" custom_objects={{{name!r}: {name}}}), or choose one of"
                f" {', '.join(sorted(self.classes))}{did_you_mean(name, self.classes)}"
            )
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            raise DTypeError(
                f"custom_objects has {cls!r} for {name!r}; expected a class that derives from"
                f" {self.base.__name__}"
            )
        return cls

    def deserialize(self, config: object, what: str | None = None) -> T:
        """An object from what :meth:`serialize` returned; a file may hold anything in its place.

        Raises
        ------
        ConfigError
            The class is not known, or the arguments do not fit it.
        DTypeError
            It is no dict with a ``class_name``.
        """
        what = self.kind if what is None else what
        if not isinstance(config, dict):
            raise DTypeError(f"{what} is {config!r:.200}; expected a dict of class_name and config")
        name, arguments = config.get("class_name"), config.get("config", {})
        cls: Any = self.find_class(name, what)
        try:
            if hasattr(cls, "from_config") and isinstance(arguments, dict):
                return cls.from_config(arguments)
            return cls(**arguments)
        except TypeError as error:
            raise ConfigError(
                f"{what} {name} has a configuration that does not fit: {error}"
            ) from error

    def serialize(self, thing: T) -> Config:
        """``{"class_name", "config"}`` of JSON values, which :meth:`deserialize` reads.

        Raises
        ------
        ConfigError
            A user-defined class has the name of one of the library's, or its ``get_config`` lacks
            an argument of its constructor.
        """
        cls: Any = type(thing)
        config = cast("Any", thing).get_config()
        self.refuse_taken_name(cls)
        forgotten = [name for name in argument_names(cls) if name not in config]
        if forgotten:
            raise ConfigError(
                f"{cls.__name__}.get_config lacks the argument {forgotten[0]!r} of its"
                f" constructor; define it so that {cls.__name__}(**config) makes the same thing"
            )
        return {"class_name": cls.__name__, "config": config}

    def refuse_taken_name(self, cls: type) -> None:
        """Refuse a user-defined class with the name of one of the library's.

        Raises
        ------
        ConfigError
            A file would take the library's class for it.
        """
        if self.names.get(cls.__name__, cls) is not cls:
            raise ConfigError(
                f"{cls.__name__} has the name of a class of gatewise, for which a file would take"
                " it; give it another"
            )
