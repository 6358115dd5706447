//! The live page behind a door that keeps its last bytes back until the page is drawn.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a browser may take to draw: a busy machine needs seconds.
pub(crate) const DRAWN: Duration = Duration::from_secs(60);

/// Runs in the page once it has drawn what it was told, and says what it found.
const DRAWN_SCRIPT: &str = r##"<script>(() => {
  const drawn = () => document.querySelectorAll(".uplot").length === 4 && document.querySelector("#heat canvas") &&
    !["CONNECTING", "STARTING"].includes(document.getElementById("pill").textContent);
  const look = () => drawn() ? found().then((told) => fetch("/done?" + encodeURIComponent(JSON.stringify(told)))) : setTimeout(look, 50);
  look();
  async function found() { const told = {}; /*reader*/ return told; }
})();</script>"##;

/// The page of `address` behind a door that keeps its last bytes back until the page says it is drawn, for a headless
/// browser looks at a page when it has loaded, and this one is drawn by what it hears after that. `reader` is what to do
/// in the page then; what it puts into `told` comes out of the channel.
pub(crate) fn held(address: SocketAddr, reader: &'static str) -> (SocketAddr, Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = listener.local_addr().unwrap();
    let (tell, told) = channel();
    let script = DRAWN_SCRIPT.replace("/*reader*/", reader);
    std::thread::spawn(move || {
        // The one that is held waits for the one that says `done`.
        let (done, wait) = channel();
        let wait = Arc::new(Mutex::new(wait));
        for client in listener.incoming().map_while(Result::ok) {
            let (tell, done, wait, script) = (tell.clone(), done.clone(), Arc::clone(&wait), script.clone());
            std::thread::spawn(move || {
                // A browser that goes away in the middle is no failure.
                drop(pass(
                    client,
                    address,
                    &script,
                    |text| {
                        let _ = tell.send(serde_json::from_str(text).unwrap_or_default());
                        let _ = done.send(());
                    },
                    || {
                        let _ = wait.lock().unwrap().recv_timeout(DRAWN);
                    },
                ));
            });
        }
    });
    (door, told)
}

fn pass(
    mut client: TcpStream,
    address: SocketAddr,
    script: &str,
    done: impl FnOnce(&str),
    wait: impl FnOnce(),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut request, mut len) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().unwrap_or(0);
        }
        request.push_str(&line);
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
    if let Some(text) = path.strip_prefix("/done?") {
        let text = text.replace('+', " ");
        done(&percent_decoded(&text));
        return client.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }
    let mut server = TcpStream::connect(address)?;
    let asked = request.replace("Connection: keep-alive", "Connection: close");
    server.write_all(format!("{asked}\r\n").as_bytes())?;
    server.write_all(&body)?;
    if path != "/" {
        return std::io::copy(&mut server, &mut client).map(drop);
    }
    let mut page = String::new();
    server.read_to_string(&mut page)?;
    let page = page.split_once("\r\n\r\n").map_or("", |(_, page)| page);
    let page = page.replace("</body>", &format!("{script}</body>"));
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    )?;
    let (most, rest) = page.split_at(page.len() - 4);
    client.write_all(most.as_bytes())?;
    wait();
    client.write_all(rest.as_bytes())
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code
            .and_then(|code| u8::from_str_radix(code, 16).ok())
            .filter(|_| *first == b'%')
        {
            Some(byte) => (bytes.push(byte), rest = &more[2..]).1,
            None => (bytes.push(*first), rest = more).1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
