// The colours of Lokole in Ant Design's words: warm wood, dark ink, no shadows, no motion. Also read by the build, which makes
// the style sheet from it: nothing writes styles while the page runs, so that its Content-Security-Policy can stay strict.
import type { ThemeConfig } from 'antd';

const shape: ThemeConfig = {
  cssVar: { key: 'lokole' },
  hashed: false,
  zeroRuntime: true,
};

const both = {
  borderRadius: 10,
  fontSize: 16,
  controlHeight: 44,
  controlHeightSM: 32,
  motion: false,
  fontFamily: 'Roboto, system-ui, sans-serif',
  boxShadow: 'none',
  boxShadowSecondary: 'none',
  boxShadowTertiary: 'none',
};

export const light: ThemeConfig = {
  ...shape,
  token: {
    ...both,
    colorPrimary: '#4f2815',
    colorLink: '#27377c',
    colorSuccess: '#0d5631',
    colorWarning: '#5f3b00',
    colorError: '#97120f',
    colorInfo: '#27377c',
    colorText: '#20140c',
    colorTextSecondary: '#54443a',
    colorTextDescription: '#54443a',
    colorTextPlaceholder: '#6a5a50',
    colorBorder: '#806c5d',
    colorBorderSecondary: '#dccfc2',
    colorSuccessBg: '#e3f3e9',
    colorSuccessBorder: '#0d5631',
    colorWarningBg: '#fff0cb',
    colorWarningBorder: '#5f3b00',
    colorErrorBg: '#fdeae7',
    colorErrorBorder: '#97120f',
    colorInfoBg: '#e9ecfa',
    colorInfoBorder: '#27377c',
  },
};

export const dark: ThemeConfig = {
  ...shape,
  token: {
    ...both,
    colorPrimary: '#eabb8e',
    colorTextLightSolid: '#2a1407',
    colorLink: '#bcc7ff',
    colorSuccess: '#93dcb0',
    colorWarning: '#ffd479',
    colorError: '#ffb3aa',
    colorInfo: '#bcc7ff',
    colorText: '#f8efe6',
    colorTextSecondary: '#d0bfb1',
    colorTextDescription: '#d0bfb1',
    colorTextPlaceholder: '#b9a899',
    colorBorder: '#a08d7e',
    colorBorderSecondary: '#44362b',
    colorBgBase: '#17110d',
    colorBgContainer: '#17110d',
    colorBgElevated: '#221913',
    colorSuccessBg: '#12301f',
    colorSuccessBorder: '#93dcb0',
    colorWarningBg: '#3a2a08',
    colorWarningBorder: '#ffd479',
    colorErrorBg: '#431512',
    colorErrorBorder: '#ffb3aa',
    colorInfoBg: '#20274b',
    colorInfoBorder: '#bcc7ff',
  },
};
