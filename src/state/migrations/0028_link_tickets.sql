-- Those that are over are forgotten once a minute: without it, all are looked through each time.
CREATE INDEX link_tickets_by_end ON link_tickets (until_s);
