// The scripts of the pages, linted against the oldest browsers that they improve something for (`browserslist` in package.json).
// What is newer has to be asked for first, and is named here with the place that asks.
import compat from 'eslint-plugin-compat';

export default [
  {
    files: ['src/lokole/**/*.js'],
    // built from statuspage/, for the browsers of operators, and linted there
    ignores: ['src/lokole/server/status/**'],
    plugins: { compat },
    languageOptions: { ecmaVersion: 2017, sourceType: 'script' },
    rules: {
      'compat/compat': 'error',
      'no-undef': 'off',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-unused-vars': ['error', { caughtErrors: 'none' }],
    },
  },
];
