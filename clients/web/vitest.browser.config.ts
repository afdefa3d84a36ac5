import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// tests/browser at the top of the repository, with this folder's packages. One file at a time: each starts a
// whole station and a browser.
export default defineConfig({
  root: here('../..'),
  resolve: {
    alias: {
      'playwright-core': here('node_modules/playwright-core'),
      vitest: here('node_modules/vitest'),
    },
  },
  server: { fs: { strict: false } },
  test: {
    include: [process.env['BROWSER_TESTS'] ?? 'tests/browser/*.test.ts'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
