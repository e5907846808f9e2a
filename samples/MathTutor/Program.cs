using MathTutor;
using ModelSdk.Runtime;

// Answers one question given as arguments (--chat: without thinking), or talks until the input ends.
bool chat = args.Contains("--chat");
string question = string.Join(' ', args.Where(a => a != "--chat"));

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    stop.Cancel();
};

try
{
    await using var tutor = await TutorModel.LoadAsync(cancellationToken: stop.Token);
    if (question.Length > 0)
    {
        await Answer(tutor, question, chat);
        return 0;
    }

    Console.WriteLine("Ask a word problem about amounts. /think: with steps, /chat: without, an empty line: end.");
    while (Ask(chat) is { Length: > 0 } line)
    {
        switch (line.Trim())
        {
            case "/chat":
                chat = true;
                break;
            case "/think":
                chat = false;
                break;
            case var text:
                await Answer(tutor, text, chat);
                break;
        }
    }

    return 0;
}
catch (OperationCanceledException)
{
    return 130;
}
catch (ModelSdk.ModelSdkException error)
{
    Console.Error.WriteLine($"{error.Code}: {error.Message}");
    return 1;
}

static string? Ask(bool chat)
{
    Console.Write(chat ? "chat> " : "think> ");
    return Console.ReadLine();
}

// Streams the reasoning dimmed, then the answer, typed by the manifest.
async Task Answer(TutorModel tutor, string text, bool chat)
{
    var adapter = chat ? TutorModel.Adapters.Base : TutorModel.Adapters.Arithmetic;
    (string dim, string plain) = Console.IsOutputRedirected ? ("", "") : ("\e[2m", "\e[0m");
    bool thinking = false;
    await foreach (ReasoningUpdate update in tutor.StreamAsync(text, adapter, cancellationToken: stop.Token))
    {
        if (update.Kind == UpdateKind.Reasoning)
        {
            Console.Write(thinking ? update.Text : dim + update.Text);
            thinking = true;
        }

        if (update.Completed is { } result)
        {
            var answer = new TutorAnswer(result);
            Console.WriteLine(thinking ? plain : "");
            Console.WriteLine(answer.TryGetValue(out int value) ? $"{value}" : answer.Text);
            Console.WriteLine($"{dim}({answer.Usage.ReasoningTokens} tokens of reasoning, {answer.Usage.AnswerTokens} of answer, by {answer.Adapter}){plain}");
        }
    }
}
