import type { ReferenceFile } from "./files.ts";

/**
 * Everything from this box and nothing written into the page: no script and no style inline, no eval, no other host. Swagger UI
 * keeps to that (its styles are set by script, its pictures are in the style sheet).
 */
export const referencePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The page, around what its script makes of /api/v1/openapi.json. */
export function renderReferencePage(addressOf: Record<ReferenceFile, string>): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Steelyard API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${addressOf["swagger-ui.css"]}">
<script defer src="${addressOf["swagger-ui-bundle.js"]}"></script>
<script type="module" src="${addressOf["start.js"]}"></script>
</head>
<body>
<div id="reference"></div>
<noscript>This page needs JavaScript. The same for programs: <a href="/api/v1/openapi.json">/api/v1/openapi.json</a></noscript>
</body>
</html>
`;
}
