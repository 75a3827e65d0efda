import { PasswordInput, TextInput } from "@mantine/core";

import type { ApiError } from "../api/client.ts";
import type { NewAccount } from "./calls.ts";

interface AccountFieldsProps {
  account: NewAccount;
  onChange: (account: NewAccount) => void;
  error: ApiError | null;
}

/** The server's refusal of one field. */
function refusalOf(error: ApiError | null, name: string): string | undefined {
  const field = error?.field?.split(".").at(-1);
  return field === name ? error?.message : undefined;
}

/** E-mail, name and password of an account that is made. */
export function AccountFields({ account, onChange, error }: AccountFieldsProps) {
  return (
    <>
      <TextInput
        label="E-mail"
        type="email"
        required
        withAsterisk={false}
        autoComplete="username"
        value={account.email}
        error={refusalOf(error, "email")}
        onChange={(event) => {
          onChange({ ...account, email: event.currentTarget.value });
        }}
      />
      <TextInput
        label="Name"
        required
        withAsterisk={false}
        autoComplete="name"
        maxLength={255}
        value={account.name}
        error={refusalOf(error, "name")}
        onChange={(event) => {
          onChange({ ...account, name: event.currentTarget.value });
        }}
      />
      <PasswordInput
        label="Password"
        description="At least 12 characters: a few words make a good one."
        required
        withAsterisk={false}
        autoComplete="new-password"
        minLength={12}
        value={account.password}
        error={refusalOf(error, "password")}
        onChange={(event) => {
          onChange({ ...account, password: event.currentTarget.value });
        }}
      />
    </>
  );
}

export const NO_ACCOUNT: NewAccount = { email: "", name: "", password: "" };
