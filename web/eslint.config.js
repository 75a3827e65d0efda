import a11y from "eslint-plugin-jsx-a11y-x";
import hooks from "eslint-plugin-react-hooks";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: ["dist"] },
  tseslint.configs.strictTypeChecked,
  { languageOptions: { parserOptions: { projectService: { allowDefaultProject: ["eslint.config.js", "public/*.js"] } } } },
  { files: ["public/*.js"], languageOptions: { globals: { document: "readonly", localStorage: "readonly", matchMedia: "readonly" } } },
  { files: ["**/*.tsx"], extends: [a11y.configs.recommended] },
  { files: ["src/**/*.{ts,tsx}"], extends: [hooks.configs.flat.recommended] },
  { rules: { "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }] } },
);
