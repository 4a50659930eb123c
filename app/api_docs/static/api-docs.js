"use strict";

const api = document.getElementById("api");

const ui = SwaggerUIBundle({
  domNode: api,
  url: api.dataset.document,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: -1,
  validatorUrl: null, // it would send the document to another host
  onComplete: () => api.dataset.token && ui.preauthorizeApiKey("token", api.dataset.token),
});
