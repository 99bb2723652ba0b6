import { Alert, Button, Drawer, Input, InputNumber } from 'antd';
import { useState, type ReactNode } from 'react';
import { asEndpoint, inBounds, type Settings } from './settings';

type Props = { settings: Settings; keep: (settings: Settings) => void; close: () => void; children?: ReactNode };

/** Everything is kept in this browser; `children` is what stands beneath, such as the token. */
export function SettingsDrawer({ settings, keep, close, children }: Props) {
  const [endpoint, setEndpoint] = useState(settings.endpoint);
  const isEndpoint = endpoint.trim() === '' || asEndpoint(endpoint) !== undefined;
  return (
    <Drawer open title="Settings" onClose={close} size={420} closable={{ 'aria-label': 'Close' }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isEndpoint) keep({ ...settings, endpoint: asEndpoint(endpoint) ?? '' });
        }}
      >
        <label htmlFor="endpoint">Address of the server</label>
        <Input id="endpoint" type="url" value={endpoint} onChange={(event) => setEndpoint(event.target.value)} placeholder="https://mail.example.org" aria-describedby="endpoint-hint" status={isEndpoint ? '' : 'error'} />
        <p id="endpoint-hint" className="hint">
          {isEndpoint ? 'Empty: where this page comes from.' : 'Write it as https://mail.example.org'}
        </p>
        <Button htmlType="submit" disabled={!isEndpoint || (asEndpoint(endpoint) ?? '') === settings.endpoint}>Ask this server</Button>
      </form>
      <label htmlFor="seconds">Ping every … seconds, 1 to 60</label>
      <InputNumber id="seconds" min={1} max={60} precision={0} value={settings.pingSeconds} onChange={(value) => value !== null && keep({ ...settings, pingSeconds: inBounds(Number(value)) })} />
      <label htmlFor="price">Price of a megabyte on the boxes’ line</label>
      <InputNumber id="price" min={0} value={settings.pricePerMb} onChange={(value) => keep({ ...settings, pricePerMb: Number(value) || 0 })} />
      <label htmlFor="currency">Currency</label>
      <Input id="currency" maxLength={10} value={settings.currency} onChange={(event) => keep({ ...settings, currency: event.target.value })} />
      {children}
      <Alert type="info" title="All of this is kept in this browser only." />
    </Drawer>
  );
}
