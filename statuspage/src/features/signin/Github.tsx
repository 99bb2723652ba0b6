// GitHub's device flow (RFC 8628): a short code that one types at GitHub, while this page asks the server whether it was typed.
import { Alert, Button } from 'antd';
import { useEffect, useState } from 'react';
import { connect } from '../../api/client';
import { byToken, type Pass } from './pass';
import { who } from './SignIn';

type Begun = { user_code: string; device_code: string; verification_uri: string; interval: number };

export function Github({ endpoint, enter }: { endpoint: string; enter: (pass: Pass) => void }) {
  const [begun, setBegun] = useState<Begun>();
  const [trouble, setTrouble] = useState<string>();

  useEffect(() => {
    if (!begun) return undefined;
    let timer: ReturnType<typeof setTimeout>;
    let isOver = false;
    const fail = (words: string) => {
      setTrouble(words);
      setBegun(undefined);
    };
    const look = async () => {
      try {
        const told = await connect(endpoint, '').finishGithub(begun.device_code);
        if (isOver) return;
        if (told.token === null) {
          timer = setTimeout(look, told.interval * 1000);
          return;
        }
        const found = await who(endpoint, byToken(told.token), 'github');
        if (isOver) return;
        if ('pass' in found) enter(found.pass);
        else fail(`GitHub knows you, and the server says: ${found.words}`);
      } catch (error) {
        if (!isOver) fail((error as Error).message);
      }
    };
    timer = setTimeout(look, begun.interval * 1000);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [begun, endpoint, enter]);

  const begin = async () => {
    setTrouble(undefined);
    try {
      setBegun(await connect(endpoint, '').beginGithub());
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };

  return (
    <div>
      {trouble && <Alert type="error" showIcon title={trouble} />}
      {begun ? (
        <div role="status">
          <p>
            Type this code at <a href={begun.verification_uri} target="_blank" rel="noreferrer">{begun.verification_uri}</a>:
          </p>
          <output className="code">{begun.user_code}</output>
          <p>This page goes on by itself.</p>
        </div>
      ) : (
        <Button onClick={begin}>Sign in with GitHub</Button>
      )}
    </div>
  );
}
