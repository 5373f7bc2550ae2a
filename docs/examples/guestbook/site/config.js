// Filled in by quickstart.py with the address of the gateway and the anon key of your project.
window.RUN402 = { url: "", anonKey: "" };
