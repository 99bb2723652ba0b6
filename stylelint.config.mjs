// The pages' style, linted against the oldest browsers that should show it (`browserslist` in package.json).
// Partial support is enough: logical edges fall back to plain, readable order (docs on looks).
export default {
  // built from statuspage/, for the browsers of operators
  ignoreFiles: ['src/lokole/server/status/**'],
  plugins: ['stylelint-no-unsupported-browser-features'],
  rules: {
    'plugin/no-unsupported-browser-features': [
      true,
      {
        severity: 'error',
        ignorePartialSupport: true,
        ignore: [
          'prefers-color-scheme', // old browsers stay light
          'css-focus-visible', // an old browser drops the rule and draws a ring of its own
          'css-snappoints', // scroll-padding only: an old browser may show the focus below the keys at the bottom until one scrolls
          'css-math-functions', // what is seen here is minmax() of a grid, which is older
        ],
      },
    ],
  },
};
