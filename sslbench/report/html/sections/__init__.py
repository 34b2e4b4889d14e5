"""The sections of a page, each a function ``Folder -> Section | None``; None where there is nothing to show."""
