using MathTutor.Recipe;
using MathTutor.Recipe.Pretraining;
using MathTutor.Recipe.Studies;
using MathTutor.Recipe.Studies.Outliers;
using MathTutor.Recipe.World;

// Makes what samples/MathTutor ships: data files, tokenizer, base checkpoint. See README.md.
const string Usage = """
    usage: MathTutor.Recipe VERB [--out DIR] [--work DIR]
      world       data files             (default DIR: samples/MathTutor/data)
      tokenizer   tokenizer files        (default DIR: samples/MathTutor/base)
      pretrain    base checkpoint        (default DIR: samples/MathTutor/base; about 30 minutes; goes on where it was stopped)
      study       masked against unmasked LoRA on the base [--seeds 1,2,3] [--mask masked,late,unmasked] [--steps N] [--batch N]
                  [--lr X] [--rank N] [--weights int4|full] [--examples N] [--failures N]; DIR: samples/MathTutor
      budget      budget forcing of the sample's adapter, and its ablations [--seeds 1,2,3] [--steps N] [--prompts N] [--samples N]
                  [--lr X] [--kl X] [--budgets 64,96] [--temperature X] [--kl-reference base] [--mask off] [--length think]
                  [--state 128] [--examples N]; DIR: samples/MathTutor
      quant       formats and solvers of the base's weights; with --seeds 1 also trains an adapter on each [--formats full,int4,2.95,int2]
                  [--blocks 32,64] [--qualities fast,balanced,best] [--seeds 1,2] [--steps N] [--examples N]; DIR: samples/MathTutor
      outliers    planted outliers and few bits: what ranges, transforms and QAMR recover [--cases NAMES] [--train NAMES] [--factor X]
                  [--share X] [--steps N] [--seed N] [--examples N]; DIR: samples/MathTutor
      sample      prints some of the text that the base reads
    """;

string sample = Path.Combine(Directory.GetCurrentDirectory(), "samples", "MathTutor");
string verb = args.FirstOrDefault() ?? "";
var options = new PretrainingOptions();
string? folder = Option("--out");
switch (verb)
{
    case "world":
        DataFiles.Create().Write(folder ?? Path.Combine(sample, "data"));
        return 0;
    case "tokenizer":
        Console.WriteLine(TokenizerRecipe.Write(folder ?? Path.Combine(sample, "base"), options.Context));
        return 0;
    case "pretrain":
        string target = folder ?? Path.Combine(sample, "base");
        Pretrainer.Run(options, target, Option("--work") ?? Path.Combine("artifacts", "pretraining"), Console.WriteLine);
        return 0;
    case "study":
        MaskStudyCommand.Run(folder ?? sample, Option);
        return 0;
    case "budget":
        BudgetStudyCommand.Run(folder ?? sample, Option);
        return 0;
    case "quant":
        QuantizationStudyCommand.Run(folder ?? sample, Option);
        return 0;
    case "outliers":
        OutlierStudyCommand.Run(folder ?? sample, Option);
        return 0;
    case "sample":
        DataFiles data = DataFiles.Create();
        var mixture = new Mixture(new Dice(3), data.HeldOut, data.SmallTalk);
        for (int i = 0; i < 40; i++)
        {
            Console.WriteLine(mixture.Next(options.Diet(options.Tokens)).Text + "\n----");
        }

        return 0;
    default:
        Console.Error.WriteLine(Usage);
        return 2;
}

string? Option(string name) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : null;
