-- What data subjects said, and what is marked of them: each statement, in order. What holds now follows from it.
CREATE TABLE subject_words (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    -- consent, object, withdraw, mark, unmark
    act TEXT NOT NULL,
    -- keyed hash of entity, key, and purpose with recipient, or mark, by which a gate knows it
    tag INTEGER NOT NULL,
    entity TEXT NOT NULL,
    -- keyed reference
    subject TEXT NOT NULL,
    -- the purpose, or the mark
    word TEXT NOT NULL,
    recipient TEXT NOT NULL,
    kind TEXT NOT NULL,
    notice INTEGER NOT NULL,
    until_s INTEGER NOT NULL,
    -- since when it holds no more: its end, or that something else was said
    over_s INTEGER NOT NULL,
    what TEXT NOT NULL,
    protection TEXT NOT NULL,
    reference TEXT NOT NULL,
    done_by TEXT NOT NULL
) STRICT;
CREATE INDEX subject_words_by_tag ON subject_words (tag);
CREATE INDEX subject_words_of_subject ON subject_words (subject);
CREATE INDEX subject_words_by_end ON subject_words (over_s);
