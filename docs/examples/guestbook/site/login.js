// One form with two buttons: sign in, or make an account first.
import { signIn, signUp } from "./session.js";

document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password, name } = Object.fromEntries(new FormData(event.target));
  try {
    if (event.submitter?.value === "sign-up") await signUp(email, password, name);
    else await signIn(email, password);
    location.replace("./");
  } catch (error) {
    document.getElementById("problem").textContent = error.message;
  }
});
document.querySelector("fieldset").disabled = false;
