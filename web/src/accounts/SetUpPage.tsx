import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { goTo } from "../location.ts";
import { Link } from "../ui/Link.tsx";
import { Message } from "../ui/Message.tsx";
import { AccountFields, NO_ACCOUNT } from "./AccountFields.tsx";
import { EntranceForm } from "./EntranceForm.tsx";
import { type Me, askSetUp, setUp } from "./calls.ts";
import { takeToken } from "./token.ts";

/** Makes the first account, with the link that the server printed. */
export function SetUpPage({ onMe }: { onMe: (me: Me) => void }) {
  const [token] = useState(takeToken);
  const [account, setAccount] = useState(NO_ACCOUNT);
  const { data } = useQuery({ queryKey: ["setup"], queryFn: askSetUp });
  if (data?.open === false) {
    return (
      <main className="alone">
        <Message title="Set-up is done">
          <p className="quiet">The first account was made. An owner of an app can invite you to it.</p>
          <Link href="/" className="link">
            Log in
          </Link>
        </Message>
      </main>
    );
  }
  if (token === null) {
    return (
      <main className="alone">
        <Message title="The link is not whole">
          <p className="quiet">
            The server prints a link with a token when it starts without accounts. Open it as it is. Where that was long ago, <code>throng people add</code> makes an account as well.
          </p>
        </Message>
      </main>
    );
  }
  const submit = async () => {
    const me = await setUp(token, account);
    goTo("/", true);
    onMe(me);
  };
  return (
    <EntranceForm title="Make the first account" about="It may make apps and invite others." submit="Make the account" onSubmit={submit}>
      {(error) => <AccountFields account={account} onChange={setAccount} error={error} />}
    </EntranceForm>
  );
}
