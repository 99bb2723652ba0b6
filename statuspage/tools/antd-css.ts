// Ant Design's styles for the components that the page uses, made when it is built (`virtual:antd.css`).
import { extractStyle } from '@ant-design/static-style-extract';
import * as antd from 'antd';
import { createElement as make, type ReactNode } from 'react';
import type { Plugin } from 'vite';
import { dark, light } from '../src/app/theme.ts';

const NAME = 'virtual:antd.css';
// a message is drawn into the body, which a build has not: this is the same without it
const { _InternalPanelDoNotUseOrYouWillBeFired: MessagePanel } = antd.message;

const USED: ReactNode[] = [
  ...(['info', 'success', 'warning', 'error'] as const).map((type) => make(antd.Alert, { type, title: 'x' })),
  make(antd.App),
  make(antd.Avatar),
  make(antd.Button, null, 'x'),
  make(antd.Card, { title: 'x' }, 'x'),
  make(antd.Drawer),
  make(antd.Empty),
  make(antd.Input),
  make(antd.Input.Password),
  make(antd.InputNumber),
  make(antd.Modal),
  make(antd.Segmented, { options: ['x'] }),
  make(antd.Skeleton),
  make(antd.Statistic),
  make(antd.Tag, { color: 'success' }, 'x'),
  make(MessagePanel),
];

function styles(theme: antd.ThemeConfig): string {
  const page = () => make(antd.ConfigProvider, { theme: { ...theme, zeroRuntime: false } }, ...USED);
  return extractStyle(page as never).replace(/<\/?style[^>]*>/g, '');
}

/** `css` without the variables that nothing in it reads. */
function withoutUnread(css: string): string {
  for (;;) {
    const read = new Set([...css.matchAll(/var\((--[\w-]+)/g)].map((found) => found[1]));
    const less = css.replace(/(--[\w-]+):[^;{}]*;/g, (whole, name) => (read.has(name) ? whole : ''));
    if (less.length === css.length) return css;
    css = less;
  }
}

type Rules = Map<string, string[]>;

/** The declarations of the rules that set the theme's variables, by selector. */
function variables(css: string): Rules {
  const found = [...css.matchAll(/(\.lokole[^{}]*)\{([^{}]*)\}/g)];
  return new Map(found.map(([, selector, body]) => [selector!, body!.split(';').filter((one) => one.startsWith('--'))]));
}

/** What is dark, as far as it is another than what is light. */
function difference(ofDark: Rules, ofLight: Rules): string {
  return [...ofDark]
    .map(([selector, all]): [string, string[]] => [selector, all.filter((one) => !ofLight.get(selector)?.includes(one))])
    .filter(([, changed]) => changed.length > 0)
    .map(([selector, changed]) => `${selector}{${changed.join(';')}}`)
    .join('');
}

export function antdStyles(): string {
  const lit = styles(light);
  const dimmed = styles({ ...dark, algorithm: antd.theme.darkAlgorithm });
  const stray = /\.css-var-[^{]*/.exec(lit);
  if (stray) throw new Error(`variables that no element of the page has: ${stray[0]}`);
  return withoutUnread(`${lit}@media (prefers-color-scheme:dark){${difference(variables(dimmed), variables(lit))}}`);
}

export function antdCss(): Plugin {
  return {
    name: 'antd-css',
    resolveId: (id) => (id === NAME ? `\0${NAME}` : null),
    load: (id) => (id === `\0${NAME}` ? antdStyles() : null),
  };
}
