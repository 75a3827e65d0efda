import { PasswordInput, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ApiError } from "../api/client.ts";
import { EntranceForm } from "./EntranceForm.tsx";
import { type Me, askMe, logIn } from "./calls.ts";

interface LoginFormProps {
  about?: ReactNode;
  onMe: (me: Me) => Promise<void> | void;
  end?: ReactNode;
}

/** Asks for e-mail and password. */
export function LoginForm({ about, onMe, end }: LoginFormProps) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const submit = async () => {
    await logIn(email, password);
    // Asked once more: a browser that did not keep the cookie says so here and not in the middle of the work.
    const me = await askMe().catch(() => {
      throw new ApiError(0, "cookie_dropped", "Your browser did not keep the login. It keeps one over HTTPS, or on http://localhost, and only where cookies are allowed.");
    });
    await onMe(me);
  };
  return (
    <EntranceForm title="Log in" about={about} submit="Log in" onSubmit={submit} end={end}>
      {() => (
        <>
          <TextInput
            label="E-mail"
            type="email"
            required
            withAsterisk={false}
            autoComplete="username"
            value={email}
            onChange={(event) => {
              setEmail(event.currentTarget.value);
            }}
          />
          <PasswordInput
            label="Password"
            required
            withAsterisk={false}
            autoComplete="current-password"
            value={password}
            onChange={(event) => {
              setPassword(event.currentTarget.value);
            }}
          />
        </>
      )}
    </EntranceForm>
  );
}
