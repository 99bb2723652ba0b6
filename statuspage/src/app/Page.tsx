// The page: who looks, at which server, how it answers, and its boxes.
import { StyleProvider } from '@ant-design/cssinjs';
import { App, Avatar, Button, ConfigProvider } from 'antd';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { connect, Trouble } from '../api/client';
import { Boxes } from '../features/boxes/Boxes';
import { Pings } from '../features/ping/Pings';
import { keepSettings, readSettings, type Settings } from '../features/settings/settings';
import { SettingsDrawer } from '../features/settings/SettingsDrawer';
import { keepPass, readPass, type Pass } from '../features/signin/pass';
import { SignIn, TokenField } from '../features/signin/SignIn';
import { useAsked } from '../shared/ask';
import { plainName } from '../shared/words';
import { light } from './theme';

/** What the address of the page says: where its server is, and whether one can sign in there by GitHub. */
export type Config = { endpoint?: string; github?: boolean; links?: Record<string, string> };

const BOXES_SECONDS = 60;

// The build has made every style (tools/antd-css.ts); what Ant Design would add while it runs goes nowhere, as the policy of the page wants it.
const NOWHERE = document.createElement('div');

export function Page({ config }: { config: Config }) {
  return (
    <StyleProvider container={NOWHERE}>
      <ConfigProvider theme={light} wave={{ disabled: true }} getPopupContainer={() => document.getElementById('root') ?? document.body}>
        <App>
          <Whole config={config} />
        </App>
      </ConfigProvider>
    </StyleProvider>
  );
}

function Whole({ config }: { config: Config }) {
  const [settings, setSettings] = useState(() => readSettings(config.endpoint));
  const [pass, setPass] = useState(readPass);
  const [isSetting, setSetting] = useState(false);
  const isOnline = useOnline();

  const keep = useCallback((changed: Settings) => {
    keepSettings(changed);
    setSettings(changed);
  }, []);
  const enter = useCallback((entered: Pass | undefined) => {
    keepPass(entered);
    setPass(entered);
  }, []);
  const keepAll = (changed: Settings) => {
    // what opens one server is not shown to another one
    if (changed.endpoint !== settings.endpoint) enter(undefined);
    keep(changed);
  };

  return (
    <>
      <a className="skip" href="#main">To the boxes</a>
      <header>
        <h1>Lokole boxes</h1>
        <div className="who">
          {pass && (
            <>
              <Avatar size={32} alt="" src={pass.way === 'github' ? `https://github.com/${encodeURIComponent(plainName(pass.name))}.png?size=64` : undefined}>
                {plainName(pass.name).slice(0, 1).toUpperCase()}
              </Avatar>
              <span>{plainName(pass.name)}</span>
              <Button size="small" onClick={() => enter(undefined)}>Leave</Button>
            </>
          )}
          <Button size="small" onClick={() => setSetting(true)}>Settings</Button>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {!isOnline && <p className="offline" role="alert">This computer is offline. What stands here may be old.</p>}
        <Pings endpoint={settings.endpoint} seconds={settings.pingSeconds} />
        {pass ? (
          <SignedIn key={`${settings.endpoint} ${pass.authorization}`} pass={pass} settings={settings} keep={keep} leave={() => enter(undefined)} />
        ) : (
          <SignIn endpoint={settings.endpoint} github={config.github === true} enter={enter} />
        )}
      </main>
      {config.links && Object.keys(config.links).length > 0 && (
        <footer>
          {Object.entries(config.links).map(([words, address]) => (
            <a key={address} href={address}>{words}</a>
          ))}
        </footer>
      )}
      {isSetting && (
        <SettingsDrawer settings={settings} keep={keepAll} close={() => setSetting(false)}>
          {pass && <TokenField endpoint={settings.endpoint} enter={enter} />}
        </SettingsDrawer>
      )}
    </>
  );
}

type Inside = { pass: Pass; settings: Settings; keep: (settings: Settings) => void; leave: () => void };

function SignedIn({ pass, settings, keep, leave }: Inside) {
  const server = useMemo(() => connect(settings.endpoint, pass.authorization), [settings.endpoint, pass.authorization]);
  const ask = useCallback((signal: AbortSignal) => server.boxes(signal), [server]);
  const fleet = useAsked(ask, BOXES_SECONDS);
  const { message } = App.useApp();
  const isOut = fleet.error instanceof Trouble && fleet.error.status === 401;
  useEffect(() => {
    if (!isOut) return;
    void message.error('The server does not know you any more: sign in again.', 10);
    leave();
  }, [isOut, leave, message]);
  const price = { perMb: settings.pricePerMb, currency: settings.currency };
  return <Boxes server={server} fleet={fleet} price={price} view={settings.view} setView={(view) => keep({ ...settings, view })} />;
}

function useOnline(): boolean {
  const [isOnline, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const look = () => setOnline(navigator.onLine);
    window.addEventListener('online', look);
    window.addEventListener('offline', look);
    return () => {
      window.removeEventListener('online', look);
      window.removeEventListener('offline', look);
    };
  }, []);
  return isOnline;
}
