"""Jobs on this machine: one small type, so that submitting, following and fetching can be tried. See docs/jobs.md."""
