-- How many statements are kept: counting them for each new one would take a second for each few million.
CREATE TABLE subject_words_kept (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    rows INTEGER NOT NULL
) STRICT;
INSERT INTO subject_words_kept (one, rows) SELECT 1, count(*) FROM subject_words;
CREATE TRIGGER subject_words_come AFTER INSERT ON subject_words
    BEGIN UPDATE subject_words_kept SET rows = rows + 1; END;
CREATE TRIGGER subject_words_go AFTER DELETE ON subject_words
    BEGIN UPDATE subject_words_kept SET rows = rows - 1; END;
