-- When the review of what opened at once must be reminded of next; NULL where none is owed. What is owed makes no room.
ALTER TABLE grants ADD COLUMN review_s INTEGER;
CREATE INDEX grants_review ON grants (review_s) WHERE review_s IS NOT NULL;
CREATE INDEX grants_owing ON grants (person) WHERE review_s IS NOT NULL;
CREATE INDEX grant_approvals_age ON grant_approvals (at_ms);
