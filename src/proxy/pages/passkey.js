// Passkeys on the gate's own pages. What comes from and goes to `navigator.credentials` is the gate's JSON, with
// bytes in base64url. Everything else on these pages works without this.
"use strict";
(() => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const ids = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const post = async (step, body) => {
    const answer = await fetch("/.menshen/passkey/" + step, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(said.detail || said.title), { name: "Refused" });
    return said;
  };

  const make = async (options) => {
    const { id, type, response } = await navigator.credentials.create({ publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: ids(options.excludeCredentials),
    } });
    return { id, type, response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: text(response.attestationObject),
    } };
  };

  const sign = async (options) => {
    const { id, type, response } = await navigator.credentials.get({ publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: ids(options.allowCredentials),
    } });
    return { id, type, response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      ...(response.userHandle && { userHandle: text(response.userHandle) }),
    } };
  };

  const play = async (part) => {
    const step = part.dataset.passkey;
    const typed = (name) => part.querySelector(`[name=${name}]`)?.value.trim() || undefined;
    const { publicKey } = await post("options", {
      for: step, ticket: typed("ticket"), verify: part.dataset.level === "3" || undefined,
    });
    const credential = await (step === "register" ? make : sign)(publicKey);
    await post(step, { credential, name: typed("name") });
    const next = new URL(part.dataset.next, location.origin);
    location.assign(next.origin === location.origin ? next : "/.menshen/session");
  };

  // Of the document, so that a button is heard from the moment that it stands there.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-passkey] button");
    if (!button || button.disabled) return;
    const part = button.closest("[data-passkey]");
    const said = part.querySelector("[role=status]");
    said.replaceChildren();
    button.disabled = true;
    try {
      if (!window.PublicKeyCredential) throw new TypeError("no passkeys");
      await play(part);
    } catch (error) {
      const words = {
        Refused: "refused", InvalidStateError: "refused", NotAllowedError: "cancelled", AbortError: "cancelled",
      };
      said.textContent = part.dataset[words[error.name] || "unable"] + " ";
      const detail = said.appendChild(document.createElement("span"));
      detail.lang = "en";
      detail.textContent = `(${error.name === "Refused" ? error.message : error.name})`;
      button.disabled = false;
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    for (const part of document.querySelectorAll("[data-passkey]")) part.hidden = false;
  });
})();
