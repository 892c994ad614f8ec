"use strict";
const form = document.getElementById("find");
form.hidden = false;
form.addEventListener("submit", event => event.preventDefault());
form.elements.text.addEventListener("input", event => {
  const wanted = event.target.value.toLowerCase();
  document.querySelectorAll("tbody tr").forEach(row => {
    row.hidden = !row.dataset.name.includes(wanted);
  });
});
