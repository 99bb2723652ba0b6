// Who is looking: by a token, checked as it is pasted, by name and password, or by GitHub where the server offers it.
import { Alert, Button, Input } from 'antd';
import { useEffect, useState } from 'react';
import { connect } from '../../api/client';
import { Github } from './Github';
import { byPassword, byToken, type Pass } from './pass';

type Props = { endpoint: string; github: boolean; enter: (pass: Pass) => void };
type Checked = { state: 'none' | 'asking' | 'wrong'; words?: string };

/** Milliseconds of rest after a key, and characters, before a token is worth asking about: wrong ones are counted. */
const REST = 600;
const LEAST = 8;

export function SignIn({ endpoint, github, enter }: Props) {
  return (
    <div className="signin">
      <h2>Sign in</h2>
      <TokenField endpoint={endpoint} enter={enter} />
      <ByPassword endpoint={endpoint} enter={enter} />
      {github && <Github endpoint={endpoint} enter={enter} />}
    </div>
  );
}

/** Asks the server while one types or pastes; enters as soon as it is right. */
export function TokenField({ endpoint, enter }: Omit<Props, 'github'>) {
  const [token, setToken] = useState('');
  const [checked, setChecked] = useState<Checked>({ state: 'none' });
  useEffect(() => {
    if (token.trim().length < LEAST) {
      setChecked({ state: 'none' });
      return undefined;
    }
    const over = new AbortController();
    const timer = setTimeout(async () => {
      setChecked({ state: 'asking' });
      const found = await who(endpoint, byToken(token), 'token', over.signal);
      if (over.signal.aborted) return;
      if ('pass' in found) enter(found.pass);
      else setChecked({ state: 'wrong', words: found.words });
    }, REST);
    return () => {
      clearTimeout(timer);
      over.abort();
    };
  }, [endpoint, token, enter]);
  return (
    <form onSubmit={(event) => event.preventDefault()}>
      <label htmlFor="token">Token</label>
      <Input.Password id="token" value={token} onChange={(event) => setToken(event.target.value)} autoComplete="off" status={checked.state === 'wrong' ? 'error' : ''} visibilityToggle={false} aria-describedby="token-said" />
      <p id="token-said" className="hint" role="status">
        {checked.state === 'asking' ? 'Asking the server …' : checked.state === 'wrong' ? `✗ ${checked.words}` : 'It is checked as soon as it is pasted.'}
      </p>
    </form>
  );
}

function ByPassword({ endpoint, enter }: Omit<Props, 'github'>) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [checked, setChecked] = useState<Checked>({ state: 'none' });
  const submit = async () => {
    setChecked({ state: 'asking' });
    const found = await who(endpoint, byPassword(name, password), 'password');
    if ('pass' in found) enter(found.pass);
    else setChecked({ state: 'wrong', words: found.words });
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <label htmlFor="name">Or a name</label>
      <Input id="name" value={name} onChange={(event) => setName(event.target.value)} autoComplete="username" autoCapitalize="off" />
      <label htmlFor="password">and its password</label>
      <Input.Password id="password" value={password} onChange={(event) => setPassword(event.target.value)} autoComplete="current-password" visibilityToggle={false} />
      {checked.state === 'wrong' && <Alert type="error" showIcon title={checked.words} />}
      <Button type="primary" htmlType="submit" disabled={checked.state === 'asking' || !name || !password}>
        {checked.state === 'asking' ? 'Asking …' : 'Sign in'}
      </Button>
    </form>
  );
}

/** Whose `authorization` it is, or why it is not taken, in words. */
export async function who(endpoint: string, authorization: string, way: Pass['way'], signal?: AbortSignal): Promise<{ pass: Pass } | { words: string }> {
  try {
    const { caller } = await connect(endpoint, authorization).boxes(signal);
    return { pass: { authorization, name: caller.name, way } };
  } catch (error) {
    return { words: (error as Error).message };
  }
}
