(* SPDX-License-Identifier: Apache-2.0 *)
(* What OCaml's runtime asks of a system: threads that take turns by the master lock and its tick,
   the collector, exceptions (a stack overflow among them), signals at safe points, files, pipes.

     systhreads STATUS      all cases, then ends with STATUS
     systhreads exception   ends by an exception that nobody handles

   Every line depends on the program alone, so a run on Linux prints the same. *)

let in_threads count work =
  let results = Array.make count 0 in
  let threads = List.init count (fun id -> Thread.create (fun () -> results.(id) <- work id) ()) in
  List.iter Thread.join threads;
  Array.fold_left ( + ) 0 results

(* Nobody gives up the processor by itself: the tick must take it away. *)
let ticks () =
  let turns = ref 0 and runs = ref true in
  let other = Thread.create (fun () -> while !runs do incr turns done) () in
  while !turns = 0 do ignore (Sys.opaque_identity (ref 0)) done;
  runs := false;
  Thread.join other;
  Printf.printf "ticks: %b\n" (!turns > 0)

let locks () =
  let mutex = Mutex.create () and filled = Condition.create () in
  let queue = Queue.create () and total = ref 0 in
  let taker _ =
    let rec take sum =
      Mutex.lock mutex;
      while Queue.is_empty queue do Condition.wait filled mutex done;
      let item = Queue.pop queue in
      Mutex.unlock mutex;
      if item = 0 then sum else take (sum + item) in
    take 0 in
  let feeder = Thread.create (fun () ->
      for n = 500 downto -3 do
        Mutex.lock mutex;
        Queue.push (max n 0) queue;
        incr total;
        Mutex.unlock mutex;
        Condition.signal filled
      done) () in
  let sum = in_threads 4 taker in
  Thread.join feeder;
  Printf.printf "locks: %d %d\n" sum !total

let events () =
  let channel = Event.new_channel () and back = Event.new_channel () in
  let squarer = Thread.create (fun () ->
      for _ = 1 to 200 do
        let n = Event.sync (Event.receive channel) in
        Event.sync (Event.send back (n * n))
      done) () in
  let sum = ref 0 in
  for n = 1 to 200 do
    Event.sync (Event.send channel n);
    sum := !sum + Event.select [ Event.receive back; Event.wrap (Event.receive channel) (fun _ -> 0) ]
  done;
  Thread.join squarer;
  Printf.printf "events: %d\n" !sum

type tree = Leaf | Node of tree * int * tree

let rec grow depth = if depth = 0 then Leaf else Node (grow (depth - 1), depth, grow (depth - 1))
let rec weight = function Leaf -> 0 | Node (l, n, r) -> weight l + n + weight r

(* What every thread keeps must survive minor, major and compacting collections of the others. *)
let garbage () =
  let before = (Gc.quick_stat ()).Gc.major_collections in
  let finalised = ref 0 in
  let work id =
    let kept = grow 12 and table = Hashtbl.create 16 in
    for n = 1 to 15 do
      Hashtbl.replace table (n land 7) (String.make (1000 + id) 'x', grow 9)
    done;
    let watched = ref id in
    Gc.finalise (fun _ -> incr finalised) watched;
    if id = 3 then Gc.compact ();
    Hashtbl.fold (fun _ (text, tree) sum -> sum + String.length text + weight tree) table (weight kept)
  in
  let sum = in_threads 8 work in
  Gc.full_major ();
  let after = (Gc.quick_stat ()).Gc.major_collections in
  Printf.printf "garbage: %d %d %b\n" sum !finalised (after > before);
  let weak = Weak.create 1 in
  Weak.set weak 0 (Some (ref 5));
  Gc.full_major ();
  Printf.printf "weak: %b\n" (Weak.check weak 0)

exception Ours of int

let exceptions () =
  let rec bottom n = if n = 0 then raise (Ours 7) else 1 + bottom (n - 1) in
  let caught _ =
    let count = ref 0 in
    for n = 1 to 200 do
      (try ignore (bottom n) with Ours 7 -> incr count);
      (try ignore [| 1; 2 |].(Sys.opaque_identity 2) with Invalid_argument _ -> incr count);
      (try ignore (1 / Sys.opaque_identity 0) with Division_by_zero -> incr count);
      (try ignore (Hashtbl.find (Hashtbl.create 1) n) with Not_found -> incr count)
    done;
    !count in
  Printf.printf "exceptions: %d\n" (in_threads 6 caught);
  (* Touches the guard of the first thread's stack: SIGSEGV on the alternate stack. *)
  let rec endless n = if n < 0 then 0 else 1 + endless (n + 1) in
  let deep = try endless 0 with Stack_overflow -> -1 in
  Printf.printf "stack overflow: %d\n" deep

let signals () =
  let arrived = ref 0 in
  let count _ = incr arrived in
  Sys.set_signal Sys.sigusr1 (Sys.Signal_handle count);
  for _ = 1 to 5 do
    let before = !arrived in
    Unix.kill (Unix.getpid ()) Sys.sigusr1;
    while !arrived = before do Thread.yield () done
  done;
  Sys.set_signal Sys.sigusr2 Sys.Signal_ignore;
  Unix.kill (Unix.getpid ()) Sys.sigusr2;
  Printf.printf "signals: %d\n" !arrived;
  Sys.set_signal Sys.sigalrm (Sys.Signal_handle count);
  ignore (Unix.setitimer Unix.ITIMER_REAL { Unix.it_interval = 0.01; it_value = 0.01 });
  while !arrived < 8 do ignore (Sys.opaque_identity (ref 0)) done;
  ignore (Unix.setitimer Unix.ITIMER_REAL { Unix.it_interval = 0.0; it_value = 0.0 });
  Printf.printf "alarms: %b\n" (!arrived >= 8)

let files () =
  let folder = Filename.concat (Filename.get_temp_dir_name ()) ("runtimes" ^ string_of_int (Unix.getpid ())) in
  Unix.mkdir folder 0o755;
  let name n = Filename.concat folder (Printf.sprintf "part%d" n) in
  let written = in_threads 6 (fun id ->
      let out = open_out_bin (name id) in
      for n = 1 to 1000 do Printf.fprintf out "%d %d\n" id n done;
      close_out out;
      (Unix.stat (name id)).Unix.st_size) in
  let entries = Sys.readdir folder in
  Array.sort compare entries;
  let digest = Digest.string (String.concat "" (List.map (fun e ->
      let input = open_in_bin (Filename.concat folder e) in
      let text = really_input_string input (in_channel_length input) in
      close_in input;
      e ^ Digest.to_hex (Digest.string text)) (Array.to_list entries))) in
  Printf.printf "files: %d %d %s\n" written (Array.length entries) (Digest.to_hex digest);
  Sys.rename (name 0) (name 9);
  Printf.printf "renamed: %b %b\n" (Sys.file_exists (name 0)) (Sys.file_exists (name 9));
  (try Unix.rmdir folder with Unix.Unix_error (error, _, _) -> print_endline (Unix.error_message error));
  Array.iter (fun e -> try Sys.remove (Filename.concat folder e) with Sys_error _ -> ()) (Sys.readdir folder);
  Unix.rmdir folder

let pipes () =
  let from, into = Unix.pipe () in
  let writer = Thread.create (fun () ->
      let out = Unix.out_channel_of_descr into in
      for n = 1 to 20000 do Printf.fprintf out "line %d\n" n done;
      close_out out) () in
  let input = Unix.in_channel_of_descr from in
  let rec lines count = match input_line input with
    | _ -> lines (count + 1)
    | exception End_of_file -> count in
  Printf.printf "pipe: %d\n" (lines 0);
  Thread.join writer;
  close_in input;
  let from, into = Unix.pipe () in
  let ready, _, _ = Unix.select [ from ] [] [] 0.01 in
  ignore (Unix.write_substring into "x" 0 1);
  let later, writable, _ = Unix.select [ from ] [ into ] [] (-1.0) in
  Printf.printf "select: %d %d %d\n" (List.length ready) (List.length later) (List.length writable)

let time () =
  let start = Unix.gettimeofday () in
  ignore (in_threads 8 (fun _ -> Thread.delay 0.03; 0));
  Unix.sleepf 0.01;
  Printf.printf "time: %b\n" (Unix.gettimeofday () -. start >= 0.04)

let () =
  match Sys.argv.(1) with
  | "exception" -> print_endline "before the exception"; raise (Ours 3)
  | status ->
    ticks ();
    locks ();
    events ();
    garbage ();
    exceptions ();
    signals ();
    files ();
    pipes ();
    time ();
    print_endline "end";
    exit (int_of_string status)
