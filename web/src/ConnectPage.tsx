import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { ApiError, ask } from "./api/client.ts";
import type { Session } from "./session.ts";

/** Asks for an app and its read key, and tries them before it lets one in. */
export function ConnectPage({ onConnect }: { onConnect: (session: Session) => void }) {
  const [app, setApp] = useState("");
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [trying, setTrying] = useState(false);
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const session = { app: app.trim(), key: key.trim() };
    setTrying(true);
    try {
      await ask(session, "realtime");
      onConnect(session);
    } catch (error) {
      setProblem(error instanceof ApiError ? error.message : "The server cannot be reached.");
    } finally {
      setTrying(false);
    }
  };
  return (
    <form className="panel connect" onSubmit={(event) => void submit(event)}>
      <h1>Open an app</h1>
      <p className="quiet">
        <code>throng app create NAME</code> prints the app&rsquo;s id and its read key. The key stays in this tab.
      </p>
      <TextInput
        label="App id"
        required
        autoComplete="off"
        value={app}
        onChange={(event) => {
          setApp(event.currentTarget.value);
        }}
      />
      <PasswordInput
        label="Read key"
        required
        autoComplete="off"
        value={key}
        error={problem}
        onChange={(event) => {
          setKey(event.currentTarget.value);
        }}
      />
      <Button type="submit" loading={trying}>
        Open
      </Button>
    </form>
  );
}
