import { Tag } from 'antd';
import { usePing } from './ping';

/** The server, its database and the webmail, each with its milliseconds. */
export function Pings({ endpoint, seconds }: { endpoint: string; seconds: number }) {
  const base = endpoint || window.location.origin;
  return (
    <ul className="pings" aria-label="Pings">
      <One name="Server" url={`${base}/healthcheck/ping`} seconds={seconds} />
      <One name="Database" url={`${base}/healthcheck/ready`} seconds={seconds} />
      <One name="Webmail" url={`${base}/web/healthcheck/ping`} seconds={seconds} />
    </ul>
  );
}

function One({ name, url, seconds }: { name: string; url: string; seconds: number }) {
  const found = usePing(url, seconds);
  const color = { asking: 'default', up: 'success', down: 'error' }[found.state];
  const words = found.state === 'asking' ? 'asking …' : found.state === 'up' ? `✓ answers in ${Math.round(found.ms)} ms` : '✗ does not answer';
  return (
    <li>
      {name} <Tag color={color}>{words}</Tag>
    </li>
  );
}
