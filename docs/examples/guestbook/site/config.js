// Filled in by quickstart.py with the address and anon key of your project.
window.RUN402 = { restUrl: "/rest/v1", anonKey: "" };
