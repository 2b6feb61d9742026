"""What a SELECT lists, while nobody knows which columns a star holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlglot import exp

from qanat.declare.spark.terms import quoted, unaliased, written
from qanat.errors import UnsupportedError
from qanat.model.name import fold

_SELECT = "name the columns: .select(…)"


@dataclass(frozen=True)
class Star:
    """All columns of an input.

    Args:
        alias: of the input; empty if there is one.
        left_out: columns that are not meant.
        replaced: new values of columns, by their names.
    """

    alias: str = ""
    left_out: tuple[str, ...] = ()
    replaced: tuple[tuple[str, exp.Expr], ...] = ()

    def sql(self) -> str:
        """Its SQL."""
        text = f"{quoted(self.alias)}.*" if self.alias else "*"
        if self.left_out:
            text += f" EXCEPT ({', '.join(map(quoted, self.left_out))})"
        if self.replaced:
            new = (f"{written(e)} AS {quoted(n)}" for n, e in self.replaced)
            text += f" REPLACE ({', '.join(new)})"
        return text


@dataclass(frozen=True)
class Item:
    """One column: its name, empty if it has none of its author's, and its value."""

    name: str
    term: exp.Expr

    def sql(self) -> str:
        """Its SQL."""
        text = written(self.term)
        same = isinstance(self.term, exp.Column) and self.term.name == self.name
        return text if same or not self.name else f"{text} AS {quoted(self.name)}"


@dataclass(frozen=True)
class Items:
    """What a SELECT lists.

    Values of known names are put in for later steps, so that `withColumn("x", …)` followed by
    `where("x > 1")` stays one SELECT. If the star held an `x` as well, a subquery would have two
    of one name, and the engine would take the wrong one without a word.
    """

    listed: tuple[Star | Item, ...] = field(default=(Star(),))

    def sql(self) -> str:
        """Their SQL."""
        return ", ".join(i.sql() for i in self.listed)

    @property
    def doubtful(self) -> str | None:
        """Why two columns may have one name; None if they cannot."""
        stars = [i for i in self.listed if isinstance(i, Star)]
        if not stars:
            return None
        if len(stars) > 1:
            return "columns of both sides of a join may have one name"
        out = {fold(n) for n in stars[0].left_out}
        for item in self.listed:
            if isinstance(item, Item) and item.name and fold(item.name) not in out:
                return f"column {item.name!r} may be there twice"
        return None

    @property
    def names(self) -> list[str] | None:
        """The names of all columns that have one; None if a star may hold any."""
        if any(isinstance(i, Star) for i in self.listed):
            return None
        return [i.name for i in self.listed if isinstance(i, Item)]

    def value(self, name: str) -> exp.Expr | None:
        """The value of a column that one of these names; None if a star may hold it."""
        for item in self.listed:
            if isinstance(item, Item) and fold(item.name) == fold(name):
                return item.term
            for new, term in item.replaced if isinstance(item, Star) else ():
                if fold(new) == fold(name):
                    return term
        return None

    def with_column(self, name: str, term: exp.Expr, uses_itself: bool) -> Items:
        """With a column added or replaced.

        Args:
            uses_itself: whether its value is made of a column of this name, which exists then.

        Raises:
            UnsupportedError: it would replace a column of one of several stars.
        """
        for n, item in enumerate(self.listed):
            if isinstance(item, Item) and fold(item.name) == fold(name):
                return self._at(n, replace(item, term=term))
            if isinstance(item, Star) and any(fold(m) == fold(name) for m, _ in item.replaced):
                new = tuple((m, term if fold(m) == fold(name) else e) for m, e in item.replaced)
                return self._at(n, replace(item, replaced=new))
        stars = [n for n, i in enumerate(self.listed) if isinstance(i, Star)]
        if not uses_itself or not stars:
            return Items((*self.listed, Item(name, term)))
        star = self.listed[stars[0]]
        if len(stars) > 1 or not isinstance(star, Star):
            raise UnsupportedError(
                f"withColumn({name!r}, …) replaces a column of a join", hint=_SELECT
            )
        return self._at(stars[0], replace(star, replaced=(*star.replaced, (name, term))))

    def without(self, names: list[str]) -> Items:
        """Without some columns.

        Raises:
            UnsupportedError: one of them may be of several stars.
        """
        rest = {fold(n): n for n in names}
        kept: list[Star | Item] = []
        for item in self.listed:
            if isinstance(item, Item) and fold(item.name) in rest:
                del rest[fold(item.name)]
            else:
                kept.append(item)
        stars = [n for n, i in enumerate(kept) if isinstance(i, Star)]
        if not rest or not stars:
            return Items(tuple(kept))
        star = kept[stars[0]]
        if len(stars) > 1 or not isinstance(star, Star):
            raise UnsupportedError("drop(…) of a column of a join", hint=_SELECT)
        replaced = tuple((n, e) for n, e in star.replaced if fold(n) not in rest)
        kept[stars[0]] = replace(
            star, left_out=(*star.left_out, *rest.values()), replaced=replaced
        )
        return Items(tuple(kept))

    def _at(self, index: int, item: Star | Item) -> Items:
        return Items((*self.listed[:index], item, *self.listed[index + 1 :]))


def item_of(term: exp.Expr, name: str = "") -> Item:
    """The item of an expression, which has its alias, or the name of its column."""
    if isinstance(term, exp.Alias):
        return Item(term.alias, unaliased(term))
    if not name and isinstance(term, exp.Column | exp.Dot):
        name = term.name
    return Item(name, term)
