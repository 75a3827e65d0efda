import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { asApiError, ask } from "./api/client.ts";
import type { KeySession } from "./session.ts";

/** Asks for an app and its read key, and tries them before it lets one in. */
export function ConnectPage({ onConnect, onLogIn }: { onConnect: (session: KeySession) => void; onLogIn: () => void }) {
  const [app, setApp] = useState("");
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [trying, setTrying] = useState(false);
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const session = { app: app.trim(), key: key.trim() };
    setTrying(true);
    try {
      await ask(session, "realtime?minutes=1");
      onConnect(session);
    } catch (error) {
      setProblem(asApiError(error).message);
    } finally {
      setTrying(false);
    }
  };
  return (
    <main>
      <form className="panel connect" onSubmit={(event) => void submit(event)}>
        <h1>
          <img src="/icon.svg" alt="" />
          Open an app
        </h1>
        <p className="quiet">
          <code>throng app create NAME</code> prints an app&rsquo;s id and its read key. The key stays in this tab.
        </p>
        <TextInput
          label="App id"
          placeholder="app_..."
          required
          withAsterisk={false}
          autoComplete="off"
          spellCheck={false}
          value={app}
          onChange={(event) => {
            setApp(event.currentTarget.value);
          }}
        />
        <PasswordInput
          label="Read key"
          placeholder="rk_..."
          required
          withAsterisk={false}
          autoComplete="off"
          value={key}
          error={problem}
          onChange={(event) => {
            setKey(event.currentTarget.value);
            setProblem(null);
          }}
        />
        <Button type="submit" loading={trying}>
          Open
        </Button>
        <button type="button" className="link small" onClick={onLogIn}>
          Log in with an account
        </button>
      </form>
    </main>
  );
}
