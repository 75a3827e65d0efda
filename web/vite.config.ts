import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    // A small file inlined as a data URL would need a hole in the content security policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": process.env["THRONG_URL"] ?? "http://127.0.0.1:7070" } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
