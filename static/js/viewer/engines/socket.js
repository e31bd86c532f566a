// The WebSocket of every engine but RDP's: the page brings its token, the gateway says yes or why not, then come bytes.

/**
 * Bring the token and `hello`. `start(socket, answer)` is called in the very moment in which the gateway has said yes,
 * for its first bytes may follow at once; the promise gives what it returns. Refused with an Error with `code`.
 */
export function opened(options, hello, start) {
  return new Promise((resolve, reject) => {
    const no = (words, code = "") => reject(Object.assign(new Error(words), { code }));
    const socket = new WebSocket(options.url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ token: options.token, ...hello }));
    socket.onclose = () => no("The gateway closed the connection.");
    socket.onmessage = ({ data }) => {
      socket.onmessage = socket.onclose = null;
      const answer = JSON.parse(data);
      if (answer.ok) { resolve(start(socket, answer)); return; }
      no(answer.error, answer.code);
      socket.close();
    };
  });
}
