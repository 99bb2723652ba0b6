/// <reference types="vitest/config" />
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { antdCss } from './tools/antd-css.ts';

export default defineConfig({
  // the same files stand at /status, at an address of their own, and in a folder of GitHub Pages
  base: './',
  plugins: [react(), antdCss()],
  build: {
    outDir: process.env.LOKOLE_STATUS_OUT ?? '../src/lokole/server/status',
    emptyOutDir: true,
    // a browser that knows modules needs no help to load them early, and the policy allows no data: address
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // what the page is made of asks to be named (MIT)
    license: { fileName: 'licenses.txt' },
    chunkSizeWarningLimit: 1000,
    rolldownOptions: {
      output: {
        // what changes with our releases apart from what changes with Ant Design's
        codeSplitting: { groups: [{ name: 'vendor', test: /node_modules|virtual:antd|rolldown.runtime/ }] },
      },
    },
  },
  test: {
    environment: 'jsdom',
    setupFiles: ['src/testing/setup.ts'],
    css: false,
    restoreMocks: true,
    // beside browsers and servers a page of 230 boxes takes its time
    testTimeout: 60_000,
  },
});
