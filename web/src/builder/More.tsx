import { Button } from "@mantine/core";

import { PlusIcon } from "../ui/icons.tsx";

/** Adds a part to the question. */
export function More({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Button variant="subtle" color="gray" size="compact-xs" leftSection={<PlusIcon />} onClick={onClick}>
      {label}
    </Button>
  );
}
