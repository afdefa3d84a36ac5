import { defineConfig } from 'vitest/config';

export default defineConfig({
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    target: 'es2022',
    // Every asset is a file of its own: the page's policy allows neither inline code nor data: fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The gateway serves everything below /assets/ as immutable: the names carry the content's hash.
    assetsDir: 'assets',
    reportCompressedSize: false,
  },
  server: {
    // `npm run dev` against a station: its gateway serves /v1.
    proxy: { '/v1': process.env['KILN_GATEWAY'] ?? 'http://127.0.0.1:8080' },
  },
  test: {
    include: ['src/**/*.test.ts', 'src/**/*.test.tsx'],
    setupFiles: ['src/testing/setup.ts'],
    testTimeout: 20_000,
  },
});
