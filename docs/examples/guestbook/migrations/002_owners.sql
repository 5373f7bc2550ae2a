-- Entries belong to the user who wrote them. Those from before belong to nobody, so no user can change them.
ALTER TABLE entries ADD COLUMN user_id uuid;
