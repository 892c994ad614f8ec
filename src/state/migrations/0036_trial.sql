-- Always empty: what is written on trial, and deleted at once, to see whether there is room again after there was none.
CREATE TABLE trial (
    filler BLOB NOT NULL
) STRICT;
