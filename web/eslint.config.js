/** What the linter asks of the map's source, besides Prettier's format: no unused names, no line above 120. */

import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    files: ["src/**/*.js"],
    languageOptions: { globals: globals.browser },
    rules: {
      "max-len": ["error", { code: 120 }],
      "max-lines": ["error", { max: 400 }],
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "prefer-const": "error",
      eqeqeq: "error",
    },
  },
  {
    files: ["test/**/*.mjs", "*.mjs", "*.js"],
    languageOptions: { globals: globals.node },
    rules: { "max-len": ["error", { code: 120 }] },
  },
];
