import { ActionIcon } from "@mantine/core";
import type { ReactNode } from "react";

import { CrossIcon } from "../ui/icons.tsx";

/** Words and pickers that stay together when the sentence wraps; `onRemove` takes them out again. */
export function Part({ children, removal, onRemove }: { children: ReactNode; removal?: string; onRemove?: () => void }) {
  return (
    <span className="sentence-part">
      {children}
      {onRemove !== undefined && (
        <ActionIcon variant="subtle" color="gray" size={24} aria-label={removal} onClick={onRemove}>
          <CrossIcon />
        </ActionIcon>
      )}
    </span>
  );
}
